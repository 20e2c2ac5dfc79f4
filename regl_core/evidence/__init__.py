"""What speaks for the methods, the settings and the models: proofs, choices and probes.

`quadratic` is a federation whose answer is known, `identities` are special cases in which methods
must agree, `choosing` finds hyper-parameters on images held out of the training set, and a `Probe`
puts the images of a generative model to the test.
"""

from . import choosing, identities, quadratic
from .probes import FACES, Probe, ProbeImages, TypeProbe, probe_table, some_classes

__all__ = [
    "FACES",
    "Probe",
    "ProbeImages",
    "TypeProbe",
    "choosing",
    "identities",
    "probe_table",
    "quadratic",
    "some_classes",
]
