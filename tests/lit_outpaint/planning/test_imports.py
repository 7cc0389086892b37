import subprocess
import sys
from pathlib import Path

import lit_outpaint.planning


def test_planning_is_free_of_torch() -> None:
    names = sorted(file.stem for file in Path(lit_outpaint.planning.__file__).parent.glob("*.py"))
    lines = [f"import lit_outpaint.planning.{name}" for name in names if name != "__init__"]
    check = "import sys; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", "\n".join([*lines, check])], check=True)
