# SPDX-License-Identifier: GPL-2.0
"""Sphinx, with the kernel's own kernel-doc directive."""

import os
import sys

KERNEL = os.environ["KERNEL_SOURCE"]
sys.path.insert(0, os.path.join(KERNEL, "Documentation", "sphinx"))

project = "strata"
extensions = ["kerneldoc"]
master_doc = "index"
exclude_patterns = ["_build"]
html_theme = "alabaster"

kerneldoc_bin = [os.path.join(KERNEL, "scripts", "kernel-doc")]
kerneldoc_srctree = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
