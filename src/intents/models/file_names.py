"""The names of the files of a model directory. Imports nothing."""

PREDICTIONS, OUT_OF_FOLD = "predictions.parquet", "predictions_out_of_fold.parquet"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
MAPPING = "intent_mapping.json"
MANIFEST = "manifest.json"
PROMOTION = "promotion.json"
EVALUATION_METRICS = "evaluation_metrics.json"
CLASSIFICATION_REPORT = "classification_report.csv"
TRAINING_SUMMARY = "training_summary.json"
CONFUSION_MATRIX = "confusion_matrix.png"
INTENT_DISTRIBUTION = "intent_distribution.png"
LENGTH_DISTRIBUTION = "length_distribution.png"
PER_INTENT_F1 = "per_intent_f1.png"
ENERGIES = "energies.png"
RELIABILITY = "reliability.png"
OPEN_SET_KINDS = "open_set_kinds.csv"
OPEN_SET_SCORES = "open_set_scores.csv"
HARDEST_SAMPLES = "hardest_samples.csv"
SANITY_PREDICTIONS = "sanity_predictions.csv"
TRAINING_ROWS = "training_rows.u64"
"""A fingerprint (`intents.data.utterances`) of every utterance trained or validated on: 8 bytes each, big-endian."""
TOKENIZER_CONFIG = "tokenizer_config.json"
MODEL_FILES = (CONFIG, WEIGHTS, MAPPING, "tokenizer.json", TOKENIZER_CONFIG)
ALLOWED_FILES = frozenset(
    {
        *MODEL_FILES,
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        EVALUATION_METRICS,
        CLASSIFICATION_REPORT,
        TRAINING_SUMMARY,
        CONFUSION_MATRIX,
        INTENT_DISTRIBUTION,
        LENGTH_DISTRIBUTION,
        PER_INTENT_F1,
        ENERGIES,
        RELIABILITY,
        OPEN_SET_KINDS,
        OPEN_SET_SCORES,
        HARDEST_SAMPLES,
        SANITY_PREDICTIONS,
        TRAINING_ROWS,
    }
)
MODEL_ARTIFACT = "model"
