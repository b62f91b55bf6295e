"""`croissant.json`: the dataset in the Croissant 1.0 vocabulary with its responsible-AI fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from publishing.description import Description
from publishing.selection.about import selection_sentence
from schemas.errors import MissingPackageError
from schemas.published import IMAGE, SPLITS, Configuration

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(description: Description) -> dict[str, Any]:
    """The JSON-LD document. Nothing in it depends on clock, host or output path: the date is that of the crawl."""
    config, statistics = description.config, description.statistics
    data: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": config.name,
        "description": _summary(description),
        "license": config.license_link or config.license_name if config.license == "other" else config.license,
        "version": "1.0.0",
        "creator": {"@type": "sc:Organization", "name": "Made with Lensmith"},
        "keywords": ["composed image retrieval", "triplets", "web crawl"],
        "isLiveDataset": False,
        "citeAs": f"{config.title}. Made with Lensmith {description.facts.version}.",
    }
    if config.homepage:
        data["url"] = config.homepage
    if statistics.last_date:
        data["datePublished"] = statistics.last_date
    return (
        data
        | _responsible_ai(description)
        | {
            "distribution": [_file_set(one) for one in description.configurations],
            "recordSet": [_record_set(one) for one in description.configurations],
        }
    )


def validate_croissant(path: Path) -> list[str]:
    """Check `croissant.json` with mlcroissant; the warnings. Raises MissingPackageError without the package, and
    mlcroissant's ValidationError if the document is wrong."""
    try:
        import mlcroissant
    except ImportError as error:
        raise MissingPackageError("mlcroissant", "publish", "checking croissant.json") from error
    return sorted(mlcroissant.Dataset(jsonld=str(path)).metadata.ctx.issues.warnings)


def _summary(description: Description) -> str:
    if not description.triplets:
        return "An empty dataset: the run ended without a triplet. The files hold their schemas only."
    more = f" {description.chains:,} chains of them are searches of several turns." if description.chains else ""
    selection = selection_sentence(description.facts)
    return (
        f"{description.triplets:,} triplets for composed image retrieval over {description.images:,} images, mined "
        "from web pages: a query image, an instruction, and the target image to which the instruction leads."
        + more
        + (f" {selection}" if selection else "")
    )


def _responsible_ai(description: Description) -> dict[str, Any]:
    facts, statistics = description.facts, description.statistics
    models = [f"{one.role}: {one.name} ({one.revision})" for one in facts.models] or ["none"]
    kept = "recorded in `opt_out` and not acted upon" if facts.opt_out == "keep" else "honoured for pages and images"
    span = [date for date in (statistics.first_date, statistics.last_date) if date]
    data: dict[str, Any] = {
        "rai:dataCollection": "Images that stand on the same web page were paired; pages come from crawl archives.",
        "rai:dataCollectionType": ["Web Scraping"],
        "rai:dataCollectionRawData": "; ".join(facts.sources[:20]) or "crawl archives",
        "rai:dataPreprocessingProtocol": [
            "Small, flat, unsafe, repeated and boilerplate images were dropped.",
            "Nearly equal and unrelated pairs were dropped by similarity windows.",
            "Texts that leak, repeat or have the wrong length were dropped.",
        ],
        "rai:dataAnnotationProtocol": "Instructions were written by a model and judged by an automatic verifier.",
        "rai:machineAnnotationTools": models,
        "rai:dataBiases": [
            "Languages, places and people are as unevenly shown as in the crawl.",
            "Labels and similarities carry the faults of the models named.",
        ],
        "rai:dataUseCases": ["Training and evaluating composed image retrieval."],
        "rai:dataLimitations": ["Instructions may be wrong, vague, or true of images other than the target."],
        "rai:personalSensitiveInformation": [
            "Pages may show and name persons; the dataset must not be used to identify them."
        ],
        "rai:dataReleaseMaintenancePlan": (
            f"Opt-out signals were {kept}. Owners can have pages and images taken down; tombstones keep them away from "
            "later releases."
        ),
    }
    if span:
        data["rai:dataCollectionTimeframe"] = span
    return data


def _file_set(configuration: Configuration) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"files-{configuration.name}",
        "name": f"files-{configuration.name}",
        "description": f"Parquet files of the configuration {configuration.name}.",
        "encodingFormat": "application/x-parquet",
        "includes": f"{configuration.folder}/*.parquet",
    }


def _record_set(configuration: Configuration) -> dict[str, Any]:
    key = configuration.schema.names[0]
    fields = [_field(configuration, field.name, field.type) for field in configuration.schema]
    return {
        "@type": "cr:RecordSet",
        "@id": configuration.name,
        "name": configuration.name,
        "description": configuration.doc,
        "key": {"@id": f"{configuration.name}/{key}"},
        "field": [_split_field(configuration), *fields],
    }


def _split_field(configuration: Configuration) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{configuration.name}/split",
        "name": f"{configuration.name}/split",
        "description": "split to which the row belongs, from the name of its file",
        "dataType": ["sc:Text", "cr:Split"],
        "source": {
            "fileSet": {"@id": f"files-{configuration.name}"},
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": f"{configuration.folder}/({'|'.join(SPLITS)})-.+parquet$"},
        },
    }


def _field(configuration: Configuration, name: str, kind: pa.DataType) -> dict[str, Any]:
    data = _column(configuration, f"{configuration.name}/{name}", name, configuration.docs[name])
    if pa.types.is_list(kind):
        data["repeated"] = True
        kind = kind.value_type
    if kind == IMAGE:
        data["source"]["transform"] = {"jsonPath": "bytes"}
    elif pa.types.is_struct(kind):
        del data["source"]
        children = [kind.field(i) for i in range(kind.num_fields)]
        data["subField"] = [_member(configuration, name, child.name, child.type) for child in children]
        return data
    return data | {"dataType": _data_type(kind)}


def _member(configuration: Configuration, column: str, name: str, kind: pa.DataType) -> dict[str, Any]:
    """One member of a column of structs, as a repeated field."""
    identifier = f"{configuration.name}/{column}/{name}"
    data = _column(configuration, identifier, column, f"`{name}` of each of `{column}`")
    data["source"]["transform"] = {"jsonPath": name}
    return data | {"dataType": _data_type(kind), "repeated": True}


def _column(configuration: Configuration, identifier: str, column: str, doc: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": identifier,
        "name": identifier,
        "description": doc,
        "source": {"fileSet": {"@id": f"files-{configuration.name}"}, "extract": {"column": column}},
    }


def _data_type(kind: pa.DataType) -> str:
    if kind == IMAGE:
        return "sc:ImageObject"
    if pa.types.is_timestamp(kind):
        return "sc:DateTime"
    if pa.types.is_floating(kind):
        return "cr:Float32"
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "cr:Int32"
    return "sc:Text"
