"""The companion of the ReGL paper; the modules at the root are the paper, in the order data flows.

    params             every knob of a profile (Sec. 5.1, App. B); seeds: where randomness is from
    data, images       a data set, and images that need not fit into memory
    partition          which client owns what: label skew, and the matching test split (Sec. 5.1)
    foundation         the frozen text-to-image model, image encoder and captioner (Sec. 4.1)
    conditions         "A photo of {class}, {caption}, {visual feature}" (Sec. 4.1.2)
    tuning             LoRA on one client's images (Sec. 4.1.2)
    generation         sampling images, by the model as it is (Sec. 4.1.1) or with an adapter
    models, weights    the classifier, and its weights as a value
    clients            what a client owns; augmentation: random views of it
    training           one client's local SGD: the hot loop
    federation         the round loop around it (Sec. 4.2); methods/: one file each
    personalization    each client fine-tunes the global model (Sec. 4.2)
    pipeline, runs     from settings to stages/, and from a table's cell to its number

Below them, and used by them: datasets/ (loaders), hub/ (where models lie), engine/ (keys, store,
workers), settings/ and system/. Above them, and unknown to them: plan/, report/, evidence/,
privacy/, explore/ and press/ (the commands). Each such folder is a room; its __init__ is the door,
which names what others may use.
"""

__version__ = "0.1.0"
