"""Programs that rebuild systems of texts on deep learning and print what was reported beside what is measured."""
