"""Names of classes as a prompt should say them."""

import re


def words(name: str) -> str:
    """A name out of a list of classes or of a folder, in words.

    >>> words("001.Black_footed_Albatross")
    'Black footed Albatross'
    """
    return re.sub(r"[\s_]+", " ", re.sub(r"^\d+[.\s_-]+", "", name)).strip()


def split_words(name: str) -> str:
    """A name whose words begin with capitals, in words.

    >>> split_words("HerbaceousVegetation")
    'herbaceous vegetation'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
