"""Runs every detector of Slither over the contracts of this project, in the folder of the contracts.

Slither is called as a library over one standard-JSON compile by the project's own shim: in forge's build the files
under node_modules carry two names each, which Slither cannot tell to be one.
"""

import re
import sys
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from crytic_compile import CryticCompile
from crytic_compile.platform.solc_standard_json import SolcStandardJson
from slither import Slither
from slither.__main__ import get_detectors_and_printers

SOURCES = sorted(Path("src").glob("*.sol"))
# `tomllib` came with Python 3.11.
FOUNDRY = tomllib.loads(Path("foundry.toml").read_text())["profile"]["default"]
ANSWER = re.compile(r"slither-disable-(?:next-line|start) ([\w-]+)")


def analyse() -> Slither:
    project = SolcStandardJson()
    for source in SOURCES:
        project.add_source_file(str(source))
    for remapping in FOUNDRY["remappings"]:
        project.add_remapping(remapping)
    return Slither(CryticCompile(project, solc=FOUNDRY["solc"]), filter_paths=["node_modules"])


def main() -> int:
    slither = analyse()
    detectors, _ = get_detectors_and_printers()
    for detector in detectors:
        slither.register_detector(detector)
    findings = [finding for group in slither.run_detectors() for finding in group]
    ours = [c.name for c in slither.contracts if c.source_mapping.filename.relative in map(str, SOURCES)]
    missing = {source.stem for source in SOURCES} - set(ours)
    answers = [(source, number + 1, found.group(1))
               for source in SOURCES
               for number, line in enumerate(source.read_text().splitlines())
               if (found := ANSWER.search(line))]
    impacts = Counter(str(detector.IMPACT).split(".")[-1].lower() for detector in detectors)

    print(f"Slither {version('slither-analyzer')} over {', '.join(sorted(ours))} with all of its detectors, "
          "also the informational ones and those on optimization.\n")
    print("| | |\n|---|---|")
    print(f"| detectors run | {len(detectors)} ({', '.join(f'{n} {impact}' for impact, n in impacts.items())}) |")
    print(f"| findings without an answer | {len(findings)} |")
    print(f"| answers beside the code | {len(answers)} |\n")
    for source, line, detector in answers:
        print(f"- answered: {detector} at {source}:{line}")
    for finding in findings:
        print(f"- **open**: {finding['check']} ({finding['impact']}): {' '.join(finding['description'].split())}")
    if missing:
        print(f"- **not analysed**: {', '.join(sorted(missing))}")
    return 1 if findings or missing else 0


sys.exit(main())
