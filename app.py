"""The app: one picture through CUT, QS-Attn and NEGCUT, side by side.

    python app.py                                   # http://127.0.0.1:7860
    python app.py --checkpoints checkpoints --device cpu --port 8000

What a Hugging Face Space starts; the app itself is `qsneg.ui`.
"""

from qsneg.ui.app import main

if __name__ == "__main__":
    main()
