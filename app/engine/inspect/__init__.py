"""A checkpoint looked at by itself, without the code of its model: a tree from the keys, kinds, marks, wrapping."""
