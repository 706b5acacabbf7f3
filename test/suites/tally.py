"""Loaded into pytest: leaves out what left_out.txt names, and keeps tests apart that use the same directory."""
import os

import pytest


def pytest_collection_modifyitems(config, items):
    left_out = set()
    with open(os.environ["TALLY_LEFT_OUT"], encoding="utf-8") as f:
        for line in f:
            line = line.split("#")[0].strip()
            if line:
                left_out.add(line)
    keep, drop = [], []
    for item in items:
        name = item.nodeid.split("/")[-1]
        out = any(name == rule or name.startswith(rule + "::") for rule in left_out)
        (drop if out else keep).append(item)
    if drop:
        config.hook.pytest_deselected(items=drop)
    items[:] = keep


def pytest_itemcollected(item):
    if "test_generate" in item.nodeid:
        item.add_marker(pytest.mark.xdist_group("test_modules"))
