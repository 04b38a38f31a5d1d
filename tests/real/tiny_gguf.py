"""Write a tiny language model of random weights for llama.cpp: `python tiny_gguf.py FILE`. It downloads nothing.

Every token has a fixed chance, whatever came before: the first channel of each embedding is a large constant that no
layer changes, and the output weights of that channel are the logarithms of the chances. So the model nearly always
opens a tool call, whose inside llama.cpp's grammar then makes valid, and rarely ends its turn without one.
"""

import math
import sys

import gguf
import numpy as np

WIDTH, HEADS, INNER, CONTEXT = 32, 2, 64, 65_536
CONSTANT, SPREAD = 8.0, 0.5  # of the embeddings: the first channel, and the deviation of the others
OPENS_CALL, ENDS_TURN = 0.95, 0.03

MARKS = ["<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
PRINTABLE = [chr(code) for code in range(33, 127)] + ["\u2581"]

# No line break follows <tool_call>: llama.cpp reads the form of a call from this template.
TEMPLATE = """\
{%- if tools %}<|im_start|>system
Call a function with <tool_call>{"name": <function-name>, "arguments": <args-json-object>}</tool_call>
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|im_start|>user
<tool_response>{{ message.content }}</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content or '' }}
{%- for call in message.tool_calls or [] -%}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def vocabulary() -> tuple[list[str], list[int], np.ndarray]:
    """The tokens, their types, and the logarithm of the chance of each."""
    kinds = gguf.TokenType
    tokens = ["<unk>", "<s>", "</s>", *MARKS, *(f"<0x{byte:02X}>" for byte in range(256)), *PRINTABLE]
    types = [kinds.UNKNOWN, *[kinds.CONTROL] * 4, *[kinds.USER_DEFINED] * 2, *[kinds.BYTE] * 256]
    types += [kinds.NORMAL] * len(PRINTABLE)
    chances = np.full(len(tokens), 1e-9)
    chances[-len(PRINTABLE) :] = (1 - OPENS_CALL - ENDS_TURN) / len(PRINTABLE)
    chances[tokens.index("<tool_call>")] = OPENS_CALL
    chances[tokens.index("<|im_end|>")] = ENDS_TURN
    return tokens, types, np.log(chances)


def write(path: str) -> None:
    random = np.random.default_rng(0)

    def weights(*shape: int, scale: float = 0.05) -> np.ndarray:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    tokens, types, chances = vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-place / 10 for place in range(len(tokens))])
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)

    embeddings = weights(len(tokens), WIDTH, scale=SPREAD)
    embeddings[:, 0] = CONSTANT
    output = weights(len(tokens), WIDTH, scale=0.02)
    size = math.sqrt((CONSTANT**2 + (WIDTH - 1) * SPREAD**2) / WIDTH)  # by which the last layer divides
    output[:, 0] = chances / (CONSTANT / size)
    ones = np.ones(WIDTH, np.float32)
    writer.add_tensor("token_embd.weight", embeddings)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output)
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", ones)
    for name in ("attn_q", "attn_k", "attn_v"):
        writer.add_tensor(f"blk.0.{name}.weight", weights(WIDTH, WIDTH))
    for name in ("ffn_gate", "ffn_up"):
        writer.add_tensor(f"blk.0.{name}.weight", weights(INNER, WIDTH))
    for name, shape in (("attn_output", (WIDTH, WIDTH)), ("ffn_down", (WIDTH, INNER))):
        back = weights(*shape)
        back[0] = 0  # the constant stays
        writer.add_tensor(f"blk.0.{name}.weight", back)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(sys.argv[1])
