"""The wheel holds a library for this kind of machine, and code for every Python: tools/wheel says for which, and of which version."""

import os

from setuptools import setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # Before setuptools 70.
    from wheel.bdist_wheel import bdist_wheel


class Wheel(bdist_wheel):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", os.environ["VERBENA_WHEEL_PLATFORM"]


setup(version=os.environ.get("VERBENA_WHEEL_VERSION", "0"), cmdclass={"bdist_wheel": Wheel})
