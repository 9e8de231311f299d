"""LeNet from files in Keras 3 on torch, as its guides write it: image_dataset_from_directory, then fit.

The dataset has Keras's default format, which needs TensorFlow for tf.data.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras
from keras import layers


def lenet(size: int, classes: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Rescaling(1 / 255),
            *(layers.Conv2D(6, 5, activation="relu"), layers.AveragePooling2D(2)),
            *(layers.Conv2D(16, 5, activation="relu"), layers.AveragePooling2D(2), layers.Flatten()),
            *(layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"), layers.Dense(classes)),
        ]
    )


def main(folder: str, size: int, epochs: int, batch: int) -> None:
    keras.utils.set_random_seed(0)
    training, validation, test = (
        keras.utils.image_dataset_from_directory(
            f"{folder}/{part}",
            image_size=(size, size),
            batch_size=batch,
            shuffle=part == "train",
            seed=0,
            verbose=False,
        )
        for part in ("train", "validation", "test")
    )
    network = lenet(size, len(training.class_names))
    network.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    network.fit(training, validation_data=validation, epochs=epochs, verbose=0)
    print(network.evaluate(test, verbose=0)[1])


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
