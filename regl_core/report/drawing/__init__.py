"""The paper's figures, one idea per file: frames and arrays in, matplotlib figures out.

matplotlib is imported where something is drawn: what only reads numbers need not wait for it.
"""
