"""Factorize the weights of a trained layer without labels or training: functions on arrays.

| file | a layer's weights become |
|---|---|
| `sparse_refit` | the same matrix with few weights left, chosen and refitted by least squares |
| `low_rank` | two thin matrices (SVD) |
| `dictionary` | a dense basis times a sparse code |
| `separation` | a column convolution and a row convolution, or 1x1 + small core + 1x1 (Tucker) |

`joint_refit` improves the remaining weights of consecutive layers, with convolutions and pools
(`chain`, `steps`).

All minimize E||W x - W' x||^2 over the layer's inputs x, of which they need only the Gram matrix
(`gram`). Without data it is the identity. Everything is in float64 and deterministic.

The ideas are of S. Bhattacharya and N. Lane, "Sparsification and Separation of Deep Learning
Layers for Constrained Resource Inference on Wearables", SenSys 2016; each file names further ones.
"""
