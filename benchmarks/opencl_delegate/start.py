"""One start of a model with the delegate: seconds from loading the delegate to the first output.

    python start.py LIBRARY OPTIONS MODEL

OPTIONS are the delegate's, as JSON. Prints the seconds. What comes before (Python, LiteRT's own
import) is not counted.
"""

from __future__ import annotations

import json
import sys
import time

from ai_edge_litert.interpreter import Interpreter, load_delegate


def main() -> None:
    library, options, model = sys.argv[1:4]
    start = time.perf_counter()
    delegate = load_delegate(library, json.loads(options))
    interpreter = Interpreter(model_path=model, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    interpreter.invoke()
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
