"""The paper's figures, one idea per file: frames and tensors in, matplotlib figures out."""
