"""Free a delegate before its interpreter, in the ways that ordinary Python does.

    python delegate_order_worker.py MODEL LIBRARY BACKEND WAY

WAY: "cycle" collects both in one reference cycle, "exit" leaves such a cycle to the end of the
process, "first" frees the delegate and then runs and frees the interpreter, "twice" does so with
two interpreters that share the delegate. Prints "done".
"""

from __future__ import annotations

import gc
import sys

from ai_edge_litert.interpreter import Interpreter, load_delegate


class Net:
    """An interpreter and its delegate, which keep each other."""

    def __init__(self, model: str, library: str, backend: str) -> None:
        self.delegate = load_delegate(library, {"backend": backend})
        self.interpreter = Interpreter(model_path=model, experimental_delegates=[self.delegate])
        self.interpreter.allocate_tensors()
        self.interpreter.invoke()
        self.myself = self


def free_first(model: str, library: str, backend: str, interpreters: int) -> None:
    delegate = load_delegate(library, {"backend": backend})
    made = [
        Interpreter(model_path=model, experimental_delegates=[delegate])
        for _ in range(interpreters)
    ]
    for interpreter in made:
        interpreter.allocate_tensors()
        interpreter._delegates.clear()
    del delegate
    gc.collect()
    while made:
        made[-1].invoke()
        made.pop()


def main() -> None:
    model, library, backend, way = sys.argv[1:]
    if way in ("cycle", "exit"):
        net = Net(model, library, backend)
        if way == "exit":
            globals()["kept"] = net
        del net
        if way == "cycle":
            gc.collect()
    else:
        free_first(model, library, backend, 2 if way == "twice" else 1)
    print("done", flush=True)


if __name__ == "__main__":
    main()
