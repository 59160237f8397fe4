"""The clients: how each is generated and compiled, and which program drives it.

A client is a folder with a program that its users can copy from. What is generated is not committed:
`taskhub.json` (the specification, as its generator gets it), `generated/` and `build/`.
"""

import json
import os
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# What every program does, in this order. It says so with `ok: …`, and ends at the first thing that is not so.
STEPS = [
    "creates tasks",
    "lists all pages",
    "gets a task",
    "merges a patch, if it matches",
    "is told that the version differs",
    "is told that there is no such task",
    "is refused without a token",
    "is let in with a token",
    "reports a status",
    "claims a task, and reports under its lease",
    "starts an execution",
    "receives events with their types",
    "resumes after the last event it has seen",
]

ENVIRONMENT = {
    **os.environ,
    "PATH": f"{HERE / '.venv/bin'}:{HERE / 'node_modules/.bin'}:{os.environ['PATH']}",
    "CARGO_TARGET_DIR": str(ROOT / "target/sdk"),
    "CARGO_INCREMENTAL": "0",
    "MAVEN_OPTS": "-Dstyle.color=never",
    "NO_COLOR": "1",
    # A line is to be seen when it is written.
    "PYTHONUNBUFFERED": "1",
}

# The package on PyPI brings the jar along. Its own command would start Java as well.
GENERATOR = "openapi-generator-cli generate -i taskhub.json -o generated"
WITHOUT_DOCS = "--global-property apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false"


def as_it_is(specification):
    return specification


def for_progenitor(specification):
    """It knows JSON by `application/json` alone, and one answer to a success: no 204 beside a 200."""
    document = json.loads(specification.replace('"application/problem+json"', '"application/json"'))
    for item in document["paths"].values():
        for operation in item.values():
            if "200" in operation["responses"]:
                operation["responses"].pop("204", None)
    return json.dumps(document)


def for_openapi_python_client(specification):
    """It does not see `nullable` in `{nullable, type, allOf: [reference]}`, and does when `type` is absent.

    A UUID in a header it hands to httpx as it is, which takes texts alone.
    """
    def adapted(schema):
        if schema.get("nullable") and "allOf" in schema:
            del schema["type"]
        if schema.get("in") == "header":
            schema["schema"].pop("format", None)
        return schema

    return json.dumps(json.loads(specification, object_hook=adapted))


def for_ogen(specification):
    """It knows server-sent events by a description of its own, and no other endless answer."""
    document = json.loads(specification)
    document["paths"] = {path: item for path, item in document["paths"].items() if not path.endswith("/stream")}
    return json.dumps(document)


@dataclass
class Client:
    name: str
    folder: str
    build: list[str]  # commands that generate and compile, with warnings as failures
    program: str
    adapt: Callable[[str], str] = as_it_is
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def path(self):
        return HERE / self.folder


# Those that take longest come first.
CLIENTS = [
    Client(
        "progenitor", "rust",
        ["cargo fmt --check", "cargo clippy --quiet --locked -- -D warnings", "cargo build --quiet --locked"],
        str(ROOT / "target/sdk/debug/taskhub-program"),
        adapt=for_progenitor,
    ),
    Client(
        "openapi-generator java", "java",
        [
            f"{GENERATOR} -g java --library native {WITHOUT_DOCS} --additional-properties=hideGenerationTimestamp=true,"
            "invokerPackage=hub,apiPackage=hub.api,modelPackage=hub.model,useOneOfDiscriminatorLookup=true,"
            "disallowAdditionalPropertiesIfNotPresent=false",
            "mvn -q -B -ntp dependency:copy-dependencies",
            # What it generates calls some of Jackson that is deprecated, and serialises what has no version.
            "javac --release 17 -Xlint:all,-deprecation,-serial -Werror -d build/classes -cp 'build/lib/*' "
            "-sourcepath generated/src/main/java generated/src/main/java/hub/api/*.java generated/src/main/java/hub/model/*.java",
            "javac --release 17 -Xlint:all -Werror -d build/classes -cp 'build/classes:build/lib/*' Program.java",
        ],
        "java -cp 'build/classes:build/lib/*' Program",
    ),
    Client(
        "openapi-generator go", "go",
        [
            f"{GENERATOR} -g go {WITHOUT_DOCS} --additional-properties=packageName=hub,withGoMod=false,"
            "enumClassPrefix=true,useOneOfDiscriminatorLookup=true,disallowAdditionalPropertiesIfNotPresent=false",
            "go vet ./...",
            "go build -o build/program .",
        ],
        "build/program",
    ),
    Client(
        "ogen", "ogen",
        ["go tool ogen --config ogen.yml --package hub --target generated --clean taskhub.json", "go vet ./...", "go build -o build/program ."],
        "build/program",
        adapt=for_ogen,
    ),
    Client(
        "oapi-codegen", "oapi-codegen",
        [
            "mkdir generated",
            "go tool oapi-codegen -generate types,client -package hub -o generated/hub.go taskhub.json",
            "go vet ./...",
            "go build -o build/program .",
        ],
        "build/program",
    ),
    Client(
        "openapi-generator typescript-fetch", "typescript-fetch",
        [f"{GENERATOR} -g typescript-fetch --additional-properties=importFileExtension=.js", "tsc -p ."],
        "node build/program.js",
    ),
    Client(
        "openapi-generator python", "python",
        [
            f"{GENERATOR} -g python {WITHOUT_DOCS} --additional-properties=packageName=hub",
            f"mypy --config-file {HERE / 'mypy.ini'} program.py",
        ],
        f"{sys.executable} -W error program.py",
        environment={"PYTHONPATH": "generated", "MYPYPATH": "generated"},
    ),
    Client(
        "openapi-python-client", "openapi-python-client",
        [
            "openapi-python-client generate --path taskhub.json --meta none --output-path generated --fail-on-warning",
            f"mypy --config-file {HERE / 'mypy.ini'} program.py",
        ],
        f"{sys.executable} -W error program.py",
        adapt=for_openapi_python_client,
    ),
    Client("hey-api", "hey-api", ["openapi-ts -i taskhub.json -o generated", "tsc -p ."], "node build/program.js"),
    Client(
        "openapi-typescript, openapi-fetch", "openapi-fetch",
        ["openapi-typescript taskhub.json --default-non-nullable=false -o generated/hub.ts", "tsc -p ."],
        "node build/program.js",
    ),
]
