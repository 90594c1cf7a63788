"""The Python and Terraform samples of the emulator's README: the first is run, the second parsed."""

import pathlib
import re

import hcl2

README = pathlib.Path(__file__).parents[2] / "README.md"


def main() -> None:
    samples = re.findall(r"^```(\w+)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    kinds = [kind for kind, _ in samples]
    assert kinds.count("python") >= 1 and kinds.count("hcl") >= 1, kinds
    for kind, text in samples:
        if kind == "python":
            exec(compile(text, str(README), "exec"), {})
        elif kind == "hcl":
            parsed = hcl2.loads(text)
            assert len(parsed["resource"]) == 2, parsed


main()
