"""What fits in memory: refusals name the size that would; limits of containers count."""

import resource
from pathlib import Path

import pytest
import torch

from qsneg import memory_limits
from qsneg.image_io import short_size
from qsneg.memory_limits import TooLarge, check_fits, needed_bytes

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(9000, 6000), (6000, 9001), (20, 90_000), (5000, 5000)])
@pytest.mark.parametrize("free", [2_000_000, 300_000_000, 20_000_000_000])
def test_refusal_names_the_largest_size_that_fits(size, free):
    if needed_bytes(size, 64, CPU) <= free:
        return check_fits(size, 64, CPU, free=free)
    with pytest.raises(TooLarge, match="GB|MB") as refusal:
        check_fits(size, 64, CPU, free=free)
    largest = refusal.value.size or 0
    if largest:
        check_fits(short_size(size, largest), 64, CPU, free=free)
    with pytest.raises(TooLarge):
        check_fits(short_size(size, largest + 1), 64, CPU, free=free + 1 if largest == 0 else free)
        check_fits(short_size(size, largest + 4), 64, CPU, free=free)  # sides are padded to multiples of 4


def test_refusal_in_words():
    with pytest.raises(ValueError) as refusal:
        check_fits((9000, 6000), 64, CPU, free=20_000_000_000)
    assert str(refusal.value) == (
        "Translating this picture at 9000×6000 pixels needs about 71.3 GB of memory and 20.0 GB are free: "
        "translate it at size 3176 or less (the shorter side in pixels)."
    )


def test_a_limit_on_the_process_counts(monkeypatch):
    assert memory_limits.process_free_bytes() > 1 << 40
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (used + 5_000_000, used + 5_000_000))
    assert memory_limits.free_bytes(CPU) < 1e7


def test_free_bytes(tmp_path):
    assert 1e7 < memory_limits.free_bytes(CPU)
    own = tmp_path / "cgroup"
    group = tmp_path / "fs" / "a" / "b"
    group.mkdir(parents=True)

    def write(folder, limit, usage, limit_name, usage_name, stat):
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in {limit_name: limit, usage_name: usage, "memory.stat": f"anon 5\n{stat} 100"}.items():
            (folder / name).write_text(f"{value}\n")

    v2 = ("memory.max", "memory.current", "inactive_file")
    own.write_text("0::/a/b\n")
    assert memory_limits.cgroup_free_bytes(tmp_path / "fs", own) > 1e15  # no limits at all
    write(group, "max", 900, *v2)
    assert memory_limits.cgroup_free_bytes(tmp_path / "fs", own) > 1e15
    write(group, 2000, 900, *v2)
    assert memory_limits.cgroup_free_bytes(tmp_path / "fs", own) == 1200
    write(group.parent, 1500, 1400, *v2)  # the parent's limit binds too
    assert memory_limits.cgroup_free_bytes(tmp_path / "fs", own) == 200
    own.write_text("3:cpu:/x\n9:memory:/c\n")
    write(
        tmp_path / "fs" / "memory" / "c",
        700,
        300,
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    )
    assert memory_limits.cgroup_free_bytes(tmp_path / "fs", own) == 500
    assert memory_limits.cgroup_free_bytes(tmp_path / "fs", tmp_path / "none") > 1e15
