"""The notebook runs from top to bottom, comes to the figure of the program, and draws it."""

import pathlib

import nbclient
import nbformat
import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_runs(path, program, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "outputs are not committed"
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    shown = [output for cell in code for output in cell.outputs]
    text = "".join(output.get("text", "") for output in shown)
    assert "% of " in text and "95% interval" in text and "flows:" in text, text
    images = [output.data["image/png"] for output in shown if "image/png" in output.get("data", {})]
    assert len(images) == 1 and len(images[0]) > 10_000
