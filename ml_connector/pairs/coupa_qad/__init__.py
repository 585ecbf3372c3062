"""Coupa and QAD: what crosses between them, under which conditions and in which form."""
