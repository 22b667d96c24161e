"""The app: one picture through CUT, QS-Attn and NEGCUT, side by side.

    python app.py                                   # http://127.0.0.1:7860
    python app.py --checkpoints checkpoints --device cpu --port 8000

What a Hugging Face Space starts; the app itself is `qsneg.ui`.
"""

try:
    from qsneg.ui.app import main
except ModuleNotFoundError as error:
    from qsneg.requirements import what_to_do

    raise SystemExit(what_to_do(error)) from None

if __name__ == "__main__":
    main()
