"""Offer models to the delegate, in a process that may crash.

    python refusal_worker.py FOLDER LIBRARY OPTIONS

FOLDER holds cases.json, a list of [file name, shapes]. A model without shapes (null) is only
offered, not run. With shapes, one per model input, the inputs are resized and one inference runs on
zeros. OPTIONS are the delegate's, as JSON. Prints a JSON line per case: the error, or null. Before
each case, stderr gets a line "case N".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter, load_delegate


def offer(
    model: bytes, library: str, options: dict[str, str], shapes: Sequence[Sequence[int]] | None
) -> None:
    interpreter = Interpreter(
        model_content=model, experimental_delegates=[load_delegate(library, options)]
    )
    if shapes is None:
        return
    for detail, shape in zip(interpreter.get_input_details(), shapes, strict=True):
        interpreter.resize_tensor_input(detail["index"], shape)
    interpreter.allocate_tensors()
    interpreter.invoke()


def main() -> None:
    folder, library, options = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    for number, (name, shapes) in enumerate(json.loads((folder / "cases.json").read_text())):
        print(f"case {number}", file=sys.stderr, flush=True)
        error = None
        try:
            offer((folder / name).read_bytes(), library, options, shapes)
        except (RuntimeError, ValueError) as caught:
            error = " ".join(str(caught).split())
        print(json.dumps(error), flush=True)


if __name__ == "__main__":
    main()
