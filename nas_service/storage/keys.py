"""Keys of the artifact store: every name under which something lies is spelt here.

supernets/<search>/<samples>.safetensors        shared weights after so many samples; litter when the search is over
searches/<search>/<genotype>/<digest>.safetensors   whole trainings that a search made, finished, by what they depend on; litter
                                                where the search does not keep the architecture, or when it is deleted
trainings/<training>/<digest>.safetensors       a full-precision network under way; litter when the training is over
candidates/<candidate>/checkpoint.safetensors   a candidate under way; litter when it is over
candidates/<candidate>/<file>                   its results; litter when it is deleted
registrations/<registration>/sheet.png          some images of a dataset; litter with it, or if the registration fails
teachers/<digest>.safetensors                   full-precision networks by what they depend on; a cache that trainings share

Folders end in a slash.
"""


def supernet_folder(search_id: str) -> str:
    """Return the folder of a search's shared weights."""
    return f"supernets/{search_id}/"


def supernet_key(search_id: str, samples: int) -> str:
    """Return where the shared weights after so many samples lie; keys of one search sort by samples."""
    return f"{supernet_folder(search_id)}{samples:08d}.safetensors"


def whole_trainings_folder(search_id: str, genotype: str = "") -> str:
    """Return the folder of the whole trainings that a search made, of all architectures or of the one of a digest."""
    return f"searches/{search_id}/{genotype}/" if genotype else f"searches/{search_id}/"


def whole_training_key(search_id: str, genotype: str, training: str) -> str:
    """Return where a whole training that a search made lies, by the digests of its genotype and of its plan."""
    return f"{whole_trainings_folder(search_id, genotype)}{training}.safetensors"


def training_folder(training_id: str) -> str:
    """Return the folder of what a training has under way beside its candidates."""
    return f"trainings/{training_id}/"


def full_precision_checkpoint_key(training_id: str, digest: str) -> str:
    """Return where the checkpoint of a full-precision network that is under way lies."""
    return f"{training_folder(training_id)}{digest}.safetensors"


def full_precision_key(digest: str) -> str:
    """Return where a trained full-precision network lies."""
    return f"teachers/{digest}.safetensors"


def registration_folder(registration_id: str) -> str:
    """Return the folder of what a registration makes."""
    return f"registrations/{registration_id}/"


def sheet_key(registration_id: str) -> str:
    """Return where the contact sheet of a registered dataset lies."""
    return f"{registration_folder(registration_id)}sheet.png"


def candidate_folder(candidate_id: str) -> str:
    """Return the folder of everything that belongs to a candidate."""
    return f"candidates/{candidate_id}/"


def candidate_key(candidate_id: str, file: str) -> str:
    """Return where a file of a candidate lies."""
    return f"{candidate_folder(candidate_id)}{file}"


def checkpoint_key(candidate_id: str) -> str:
    """Return where the checkpoint of a candidate that is under way lies."""
    return candidate_key(candidate_id, "checkpoint.safetensors")
