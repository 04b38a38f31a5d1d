"""What everything else stands on: messages, tools, events, results, errors. No network, no model."""
