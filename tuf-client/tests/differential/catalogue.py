# The catalogue of mutations: how one is registered, and what they share. A mutation changes a repository
# before it is signed, or says what is to be done to its files afterwards, and returns in words what it did;
# None where the repository has nothing that it could act on.
import re
from dataclasses import dataclass

CATALOGUE = {}
MISSING = ...  # survives a deep copy as itself


@dataclass
class Scene:
    """What a mutation may act on."""

    repository: object
    rng: object
    before: list  # what was served in earlier states, oldest first


def mutation(name, later=False):
    """Registers a mutation. One with `later` needs a state before this one."""

    def register(function):
        assert name not in CATALOGUE, name
        CATALOGUE[name] = (function, later)
        return function

    return register


def put(container, name, value):
    if value is MISSING:
        container.pop(name, None)
    else:
        container[name] = value


def shown(value):
    text = "(missing)" if value is MISSING else repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def pick(scene, kinds=None):
    """A document that clients will weigh: its label, and it."""
    found = [
        (label, doc)
        for label, doc in scene.repository.documents().items()
        if kinds is None or label.split(" ")[0] in kinds
    ]
    # Delegated roles are many, and the search may not come to them.
    weights = [1 if label in scene.repository.targets and label != "targets" else 4 for label, _ in found]
    return scene.rng.choices(found, weights)[0] if found else (None, None)


def path_of(served, label):
    """Where a document is served."""
    import repository

    if label.startswith("root "):
        return f"metadata/{label[5:]}.root.json"
    name = re.escape(repository.quoted(label))
    pattern = re.compile(rf"metadata/(?:[^/.]*\.)?{name}\.json")
    return next((path for path in served if pattern.fullmatch(path)), None)


def retext(scene, label, doc, edit):
    """Rewrites a document's bytes: before others state its hash, or only as served. In words, which."""
    if scene.rng.random() < 0.7:
        doc.text.append(edit)
        return "as published"

    def change(served):
        path = path_of(served, label)
        if path in served:
            served[path] = edit(served[path])

    scene.repository.served.append(change)
    return "as served"
