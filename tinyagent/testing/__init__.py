"""For your own tests: a model and a server that say what you scripted, offline.

`ScriptedModel` replaces the model. `ScriptedServer` is a real HTTP server on loopback that speaks the OpenAI
protocol, so that `OpenAIModel` and the `openai` package are exercised too; it can misbehave in any way.
`model_or_script` takes the environment's model, and a scripted server where there is none.

With pytest, `pytest_plugins = ["tinyagent.testing.fixtures"]` in `conftest.py` gives the fixtures
`scripted_model` and `scripted_server`.
"""

from tinyagent.core.messages import Reply
from tinyagent.testing.loopback import ScriptedRequest, ScriptedServer
from tinyagent.testing.offline import model_or_script, online
from tinyagent.testing.script import CUT, Item, RawReply, RawStream, call
from tinyagent.testing.scripted import ScriptedModel

__all__ = [
    "CUT", "Item", "RawReply", "RawStream", "Reply", "ScriptedModel", "ScriptedRequest", "ScriptedServer", "call",
    "model_or_script", "online",
]  # fmt: skip
