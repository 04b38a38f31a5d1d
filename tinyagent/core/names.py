"""Names that people bring along from tinyagent 1.x and from other packages, and what to write instead.

Loaded only when a wrong name has been used.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any

from tinyagent.core.errors import UnknownOptionError

_INSTRUCTIONS = "pass instructions='...'"
_MESSAGES = "pass messages=result.messages, of the run before, to agent.run(...)"
_SESSION = "pass store=SQLiteStore('agents.db') to the agent, and session='user-7' to agent.run(...)"
_POLICY = "pass policy=ask_before('pay') to the agent"
_WATCH = "read the events of agent.stream(...), or set logging.getLogger('tinyagent').setLevel('DEBUG')"
_CLIENT = "pass client=AsyncOpenAI(...) with it"
_OUTPUT = "a tool with @tool(returns_answer=True) makes the answer an object; any other answer is text"
_SANDBOX = "TinyCodeAgent(..., sandbox=ProcessSandbox()) runs code; MontySandbox() and PythonExecutor() are others"

#: For each place where options are given: what to do instead -> the wrong names. The first entry with a name counts.
_CURES: dict[str, dict[str, str]] = {
    "agent": {
        "pass limits=Limits(steps=10)": "max_steps max_iterations max_iters max_iter max_turns max_rounds "
        "recursion_limit",
        "pass limits=Limits(seconds=60)": "max_execution_time max_time max_seconds time_limit deadline",
        "pass limits=Limits(tokens=50_000)": "max_total_tokens total_tokens token_limit token_budget usage_limits",
        "pass limits=Limits(seconds=60) for a run, or model=OpenAIModel('name', timeout=60) for its server": "timeout",
        _INSTRUCTIONS: "system_prompt system_message system prompt prompts instruction backstory role prompt_template "
        "prompt_templates sys_prompt preamble",
        "pass model='gpt-4o-mini', or model=OpenAIModel('name', ...)": "llm chat_model model_name model_id "
        "model_client llm_config lm",
        _WATCH: "verbose verbosity_level debug debug_mode trace tracing log logger show_tool_calls",
        "read the events of agent.stream(...)": "callbacks callback callback_manager step_callback step_callbacks "
        "on_event stream stream_outputs streaming handlers",
        "pass middleware=[...]": "hooks plugins interceptors capabilities",
        _MESSAGES: "chat_history history message_history messages",
        _SESSION: "memory checkpointer conversation session session_id conversation_id thread_id",
        _POLICY: "approval approve human_in_the_loop interrupt_before interrupt_on require_approval permissions",
        _OUTPUT: "output_type response_model response_format result_type output_schema output_model structured_output",
        "agent.run(...) always returns a RunResult": "return_result return_full_result return_intermediate_steps "
        "return_trajectory",
        _SANDBOX: "executor code_executor executor_type python_executor interpreter use_docker sandbox sandbox_limits "
        "code_execution_config",
        "pass sandbox=ProcessSandbox(preload=['numpy']) to a TinyCodeAgent": "additional_authorized_imports "
        "authorized_imports allowed_imports",
        "pass tools=[...]": "tool functions function_map toolkits toolkit tool_names tool_registry registry",
        "pass tools=[MCPTools(...)]": "mcp mcp_servers mcp_server mcp_tools",
        "pass tools=[web_search, web_browse]": "add_base_tools",
        "pass tools=[Planning()]": "planning planning_interval planner reasoning",
        "pass tools=[agent], or handoffs=[agent]": "agents managed_agents sub_agents subagents team members transfers",
        "pass deps=... to agent.run(...)": "context context_type context_schema dependencies deps",
        "it is a run's: agent.run('...', {name}=...)": "run_id metadata when_busy",
        "the first tool with @tool(returns_answer=True) that succeeds ends the run": "final_answer final_answer_checks "
        "is_termination_msg tool_use_behavior return_direct",
    },
    "run": {
        "the task comes first: agent.run('...')": "prompt query question input inputs message user_prompt user_input",
        "pass deps=...": "context ctx dependencies state",
        "pass messages=result.messages, of the run before": "chat_history history message_history reset",
        _SESSION: "memory thread_id conversation session_id conversation_id",
        _POLICY: "approval approve human_in_the_loop interrupt_before interrupt_on require_approval permissions",
        "use agent.stream(...) for the events of a run": "stream streaming stream_mode callbacks verbose",
        "pass store=MemoryStore()": "journal checkpointer",
        "it is the agent's: ReactAgent(..., {name}=...)": "tools model client instructions prompt_file deps_type "
        "limits name description handoffs policy eager max_observation continue_cut",
    },
    "model": {
        "the model's name comes first: OpenAIModel('gpt-4o-mini')": "model model_name model_id deployment engine",
        "pass base_url='https://.../v1'": "api_base openai_api_base openai_base_url url host endpoint base api_url",
        "pass api_key='...'": "openai_api_key key token",
        "pass max_retries=2": "retries num_retries retry",
        "pass timeout=60": "request_timeout",
        "pass max_completion_tokens=2_000": "max_output_tokens max_new_tokens max_length",
        "pass extra_headers={{...}}": "headers",
        "pass extra_body={{'{name}': ...}}": "top_k min_p top_a typical_p repetition_penalty repeat_penalty num_ctx "
        "num_predict n_predict mirostat chat_template_kwargs enable_thinking thinking think keep_alive options grammar "
        "guided_json guided_choice reasoning provider",
        _CLIENT: "organization project default_headers default_query http_client azure_endpoint azure_deployment "
        "api_version websocket_base_url webhook_secret",
        "a run is streamed by agent.stream(...)": "stream streaming",
        "they are the agent's: ReactAgent(tools=[...], model=OpenAIModel(...))": "tools functions tool_choice",
        "it is the agent's: ReactAgent(model=OpenAIModel(...), instructions='...')": "system_prompt instructions "
        "system_message system prompt",
    },
    "tool": {
        "pass returns_answer=True": "return_direct return_answer final is_final result_as_answer stop_after_tool_call",
        "pass retries=2": "max_retries retry num_retries",
        "pass name='...'": "name_override tool_name title",
        "pass description='...', or write a docstring": "description_override desc doc docstring instructions",
        "pass timeout=10, in seconds": "timeout_seconds time_limit max_time",
        "pass read_only=True": "readonly read_only_hint side_effects idempotent",
        "pass exclusive=True for a tool that runs alone in its turn": "parallel sequential concurrent",
        "the schema comes from the function's annotations": "args_schema schema parameters input_schema params inputs "
        "strict strict_mode output_type response_format",
        "the docstring is always read": "parse_docstring infer_schema docstring_format use_docstring_info",
        "annotate one of its parameters with Context": "takes_ctx takes_context context inject",
    },
    "limits": {
        "pass steps=10": "max_steps max_iterations max_turns step iterations turns requests request_limit "
        "recursion_limit llm_calls",
        "pass tokens=50_000": "max_tokens total_tokens token max_total_tokens total_tokens_limit",
        "pass seconds=60": "timeout time max_time max_seconds max_execution_time duration",
    },
    "sandbox": {
        "pass limits=SandboxLimits(seconds=30)": "timeout seconds max_time time_limit execution_timeout",
        "pass limits=SandboxLimits(memory=512 * 2**20), in bytes": "memory memory_mb memory_limit max_memory mem_limit",
        "ProcessSandbox(preload=['numpy']) makes packages importable": "authorized_imports allowed_imports packages "
        "additional_authorized_imports modules requirements",
    },
    "sandbox limits": {
        "pass seconds=30": "timeout time max_time max_seconds wall_time time_limit",
        "pass cpu_seconds=300": "cpu cpu_time max_cpu",
        "pass memory=512 * 2**20, in bytes": "memory_mb max_memory memory_limit mem_limit",
        "pass output=1_000_000, in characters": "max_output output_limit max_output_chars",
        "pass calls=1_000": "max_calls tool_calls",
    },
    "mcp": {
        "pass command='npx -y some-server'": "cmd stdio server_command server_script transport server params",
        "pass url='https://example.com/mcp'": "server_url endpoint base_url host sse",
        "pass timeout=60, in seconds": "read_timeout request_timeout call_timeout",
        "pass include=[...]": "tools allowed_tools tool_filter include_tools",
        "pass exclude=[...]": "exclude_tools excluded_tools blocked_tools",
        "write MCPTools(...).prefixed('...')": "prefix tool_prefix tool_name_prefix",
    },
}
#: For each place: how an error says that it lacks an option, and how its options are written.
_SAID = {
    "agent": ("An agent has no option", "{name}(tools=[search], model='gpt-4o-mini')"),
    "run": ("A run has no option", "agent.stream('...')"),
    "model": ("OpenAIModel has no option", "{name}('gpt-4o-mini', temperature=0)"),
    "tool": ("A tool has no option", "{name}(function, name='...')"),
    "limits": ("Limits has no", "Limits(steps=10, tokens=50_000, seconds=60)"),
    "sandbox": ("A sandbox of this kind has no option", "{name}(limits=SandboxLimits(seconds=30))"),
    "sandbox limits": ("SandboxLimits has no", "SandboxLimits(seconds=30, memory=512 * 2**20)"),
    "mcp": (
        "MCPTools has no option",
        "MCPTools(command='npx -y some-server'), or MCPTools(url='https://example.com/mcp')",
    ),
}
_OF_THE_PACKAGE = ("jina_reader", "web_browse", "web_search")


def refused(kind: str, given: Iterable[str], known: Collection[str], cures: Mapping[str, str] | None = None) -> str:
    """Return the text of an error for options that do not exist, with what to write instead.

    Args:
        kind: What was given the options: a key of the tables above, such as `agent`.
        given: The names of the wrong options.
        known: The names of the options that exist.
        cures: What to do instead, for wrong names that the tables above do not have.
    """
    what, told = _SAID[kind][0], dict.fromkeys(sorted(given), "")
    told.update({name: _cure(kind, name) or (cures or {}).get(name, "") for name in told})
    said = [f"{what} {name!r}: {cure}." for name, cure in told.items() if cure]
    if left := [name for name, cure in told.items() if not cure]:
        close = [found for name in left for found in difflib.get_close_matches(name, known, 1)]
        meant = f" Did you mean {' and '.join(map(repr, close))}? It has: " if close else " it has: "
        said.append(f"{what} {left}{'.' if close else ';'}{meant}{', '.join(known)}.")
    return "\n".join(said)


def misnamed(kind: str, name: str, function: Callable[..., Any], options: Collection[str], said: str) -> TypeError:
    """Return the error of a call that does not fit a constructor or method, with what to write instead.

    Args:
        kind: What was called: a key of the tables above, such as `agent`.
        name: The name of the class.
        function: The constructor or method.
        options: The names of the keyword arguments that were passed.
        said: The text of Python's own `TypeError`.
    """
    parameters = list(inspect.signature(function).parameters.values())[1:]
    takes_more = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    wrong = [option for option in options if option not in known and (not takes_more or _cure(kind, option))]
    if wrong:
        known = [name for name in known if name not in ("local_names", "signature")]
        return UnknownOptionError(refused(kind, wrong, known))
    return TypeError(f"{said.replace('.__init__()', '()')}. Write {_SAID[kind][1].format(name=name)}.")


def instead_of(item: object) -> str:
    """Return in words what to pass in tools=[...] instead of something that is no function."""
    if isinstance(item, str):
        if item in _OF_THE_PACKAGE:
            return f"Pass the tool itself: from tinyagent import {item}, and tools=[{item}]. "
        from tinyagent.core.registry import get_registry

        if item in get_registry():
            return f"Pass the tool itself, tools=[{item}], or get_registry()[{item!r}]. "
        return f"Pass the function itself, without quotes: tools=[{item}]. " if item.isidentifier() else ""
    if isinstance(item, Coroutine):
        item.close()  # else Python warns that nobody awaits it
        name = getattr(item, "__name__", "the function")
        return f"It is a call: pass {name} without '(...)', and the model calls it. "
    if isinstance(item, Mapping):
        return "A schema is made from a function: write one of that name, with annotations and a docstring. "
    if isinstance(item, list | tuple | set | frozenset):
        return "What is in it belongs into tools= itself: tools=[*some_tools, another_tool]. "
    return "If a function has returned it, pass the function without calling it. "


def _cure(kind: str, name: str) -> str:
    """Return what to do instead of passing an option of this name; empty where the tables above do not have it."""
    for cure, names in _CURES[kind].items():
        if name in names.split():
            return cure.format(name=name)
    if kind != "run" or not (cure := _cure("agent", name)):
        return ""
    return f"{cure} to the agent" if cure.startswith("pass ") and "agent" not in cure else cure
