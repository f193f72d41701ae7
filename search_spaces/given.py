"""The base of every model that reads what a user gave: spaces, strategies, methods, datasets, recipes, specs. No torch."""

from pydantic import BaseModel, ConfigDict


class GivenModel(BaseModel):
    """What a user gave, read as it was written: unknown fields are refused, and nothing is turned into another type.

    `true` and "3" are no numbers and 1 is no boolean; a whole number is a number where fractions are allowed. NaN and infinity,
    which JSON does not have, are refused. A field whose type JSON has no word for (an enum, a tuple) says `strict=False`: a text
    stands for the enum, a list for the tuple, and the entries of a tuple are read strictly all the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
