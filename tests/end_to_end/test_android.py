"""The Android library: its Gradle wrapper is the published one, its plug-in has its name."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ANDROID = Path(__file__).parents[2] / "android"
# SHA-256 of gradle-wrapper.jar by the version of Gradle, of https://gradle.org/release-checksums.
WRAPPERS = {"8.14.3": "7d3a4ac4de1c32b59bc6a4eb8ecb8e612ccd0cf1ae1e99f66902da64df296172"}


def test_the_wrapper_is_the_one_that_gradle_published() -> None:
    properties = (ANDROID / "gradle/wrapper/gradle-wrapper.properties").read_text()
    found = re.search(
        r"services\.gradle\.org/distributions/gradle-([\d.]+)-bin\.zip$", properties, re.M
    )
    assert found is not None
    jar = (ANDROID / "gradle/wrapper/gradle-wrapper.jar").read_bytes()
    assert hashlib.sha256(jar).hexdigest() == WRAPPERS[found[1]]
    assert re.search(r"^distributionSha256Sum=[0-9a-f]{64}$", properties, re.M)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is missing")
def test_the_plugin_of_litert_2_has_its_name(tmp_path: Path) -> None:
    source = ANDROID / "src/main/cpp"
    configure = ["cmake", "-S", str(source), "-B", str(tmp_path), "-DSPARSESEP_LITERT_PLUGIN=ON"]
    # Names do not depend on the optimization, which takes most of the time.
    options = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0"]
    for command in ([*configure, *options], ["cmake", "--build", str(tmp_path), "-j2"]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (library,) = tmp_path.rglob("*.so")
    assert library.name == "libLiteRtGpuAccelerator.so"
    assert b"LiteRtAcceleratorImpl" in library.read_bytes()
