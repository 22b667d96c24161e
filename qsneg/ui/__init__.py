"""The app, the only folder that imports gradio."""
