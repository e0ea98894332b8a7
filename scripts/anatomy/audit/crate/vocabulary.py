"""The words of RO-Crates that describe a study: profiles, terms, types and formats."""

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_RUN = "https://w3id.org/ro/terms/workflow-run#"
_NEW = ("ParameterConnection", "connection", "resourceUsage", "sha256", "sourceParameter", "targetParameter")
TERMS = {name: f"{_RUN}{name}" for name in _NEW} | {
    "buildInstructions": "https://codemeta.github.io/terms/buildInstructions"
}
"""Terms that RO-Crate 1.1 does not have; they stand in the crate."""
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_SCHEMA = (
    "ComputerLanguage", "ControlAction", "CreateAction", "CreativeWork", "Dataset", "DefinedTerm", "HowTo",
    "HowToStep", "Organization", "OrganizeAction", "Person", "PropertyValue", "ScholarlyArticle",
    "SoftwareApplication", "SoftwareSourceCode", "about", "actionStatus", "additionalType", "author",
    "citation", "contentSize", "datePublished", "description", "encodingFormat", "endTime", "exampleOfWork",
    "hasPart", "identifier", "instrument", "keywords", "license", "mainEntity", "mentions", "name", "object",
    "programmingLanguage", "propertyID", "publisher", "result", "softwareRequirements", "softwareVersion",
    "startTime", "step", "subjectOf", "unitCode", "url", "value", "version", "workExample",
)  # fmt: skip
KNOWN = {name: f"http://schema.org/{name}" for name in _SCHEMA} | {
    "File": "http://schema.org/MediaObject",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
}
"""What RO-Crate's context says of the terms used here; so a crate can be checked without the network."""

FORMATS = {
    ".bib": "application/x-bibtex",
    ".cff": "application/yaml",
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
}
KINDS = {
    "annotations": "Parts of solutions, by a language model",
    "counts": "Counts of right and wrong completions by problem",
    "models": "Models, a folder a kept step",
    "problems": "Problems of a benchmark",
    "prompts": "Prompts for a benchmark's problems",
    "samples": "Completions that a model gave",
    "scores": "Likelihoods of completions under a model",
    "temperatures": "Sampling temperature at which a model's entropy equals another's",
    "training": "Log of a training",
    "verdicts": "Verdicts on completions",
}
USED = {
    "seconds": ("Time", "seconds from the job's start to its end", "http://qudt.org/vocab/unit/SEC"),
    "cpu_seconds": ("CPU time", "seconds of all its processes", "http://qudt.org/vocab/unit/SEC"),
    "peak_memory_mib": (
        "Peak memory",
        "largest resident memory of the job's process or of one that it started",
        "http://qudt.org/vocab/unit/MebiBYTE",
    ),
}
ENVIRONMENTS = (
    ("https://pip.pypa.io/en/stable/reference/requirements-file-format/", "pip's requirements file"),
    (
        "https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html",
        "conda's environment file",
    ),
)
"""What the files of envs/ conform to, ``.txt`` and ``.yaml``."""
DONE = "http://schema.org/CompletedActionStatus"
