//! Every test that needs more than one crate, in one binary: the stories and the tidiness of the tree.

mod tidy;
