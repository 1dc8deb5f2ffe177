"""Runs the cases of the Autobahn test suite against a server that echoes; prints each case's verdicts as JSON.

Cases of compression (12.*, 13.*) are left out until there is compression.
"""

import asyncio
import json
import os
import sys

from kosoku import FailureError, run_fuzzingclient

WITHOUT = ["12.*", "13.*"]


async def judge(address: str) -> dict[str, list[str]]:
    try:
        results = await run_fuzzingclient(address, None, WITHOUT, concurrency=4)
    except FailureError as failure:
        results = failure.results
        print(failure, file=sys.stderr)
    for result in results:
        if not result.passed:
            print(f"{result.case_id}: {result.result} {result.result_close}", file=sys.stderr)
    return {result.case_id: [result.behavior.value, result.behavior_close.value] for result in results}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(judge(sys.argv[1]))), flush=True)
    # All is said. Now and then the suite's native threads abort while the interpreter is taken down, so it is not.
    os._exit(0)
