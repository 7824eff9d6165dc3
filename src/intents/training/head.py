"""The head, begun where a linear model ends: a logistic regression on the features of the encoder as it is.

Training then starts from a classifier that already works, and disturbs what the encoder knows less than a random head
would (linear probing, then fine-tuning: Kumar et al. 2022, arXiv:2202.10054).
"""

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from intents.models.network import head_of, predict_tokens
from intents.system import processes
from intents.training.batches import TokenDataset

INVERSE_PENALTY = 0.03
"""scikit-learn's C for features of unit variance; from 0.01 to 0.03 was best on held-out rows of the samples tried."""
MOST_ITERATIONS = 300


def fit_head(module: Any, tokenizer: Any, *, train: TokenDataset, precision: str) -> None:
    """Writes weight (C, F) and bias (C,) of the regression into the network's last layer.

    The network moves to where it is trained afterwards.
    """
    module.to(processes.device())
    with torch.autocast(module.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        features_BF = predict_tokens(module, tokenizer, input_ids=train.input_ids).features_BF
    penalty = INVERSE_PENALTY / float(features_BF.var())
    regression = LogisticRegression(C=penalty, max_iter=MOST_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # training goes on from wherever it came
        regression.fit(features_BF, train.labels_B)
    weight_CF, bias_C = _for_each_class(regression)
    head = head_of(module)
    with torch.no_grad():
        head.weight[regression.classes_] = torch.from_numpy(weight_CF).to(head.weight)
        head.bias[regression.classes_] = torch.from_numpy(bias_C).to(head.bias)


def _for_each_class(regression: Any) -> tuple[Any, Any]:
    """Weights (C, F) and biases (C,) of a softmax; scikit-learn keeps one row for two classes."""
    weight, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) > 2:
        return weight, bias
    return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
