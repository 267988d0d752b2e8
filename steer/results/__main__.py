"""The JSON schema of `summary.json`, printed: python -m steer.results > docs/summary.schema.json"""

from __future__ import annotations

import json

from steer.results.result import Result

if __name__ == "__main__":
    print(json.dumps(Result.model_json_schema(), indent=1, ensure_ascii=False))
