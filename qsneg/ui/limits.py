"""Every limit of the app: how large, how many, how long it keeps things."""

OFFERED = (256, 384, 512, 768)  # working sizes in the left column
SIZES = (64, 2048)  # least and greatest working size, pixels of the short side
DRAWN = (32, 2048)  # least and greatest side of a drawn scene, pixels
ENLARGED = 4  # times the square of the working size: pixels up to which a picture is enlarged
TRANSLATED = 8_000_000  # pixels of a translation: more is slow, and too much for a page
INSPECTED = 120_000  # pixels of a picture that is inspected: attention compares every position with every other
GLOBAL = 10_000  # positions up to which every one is compared with every other
VIEWS_BYTES = 1536 << 20  # of all views in memory
VISITOR_BYTES = 512 << 20  # of the views of one visitor, beyond those of the picture looked at now
SOURCES_BYTES = 256 << 20  # of all uploaded pictures in memory
BEGUN_BYTES = 256 << 20  # of translations whose features are kept for the pages that look inside
RESULTS, RESULTS_BYTES = 1024, "512mb"  # translations in memory: how many, how large
DISK_BYTES = 2 * 10**9  # of all uploads and results on the disk; app.py --disk
REQUEST_BYTES = 110 << 20  # of everything that one request uploads
UPLOADED = 40_000_000  # pixels of an upload; app.py --megapixels
WAITING = 20  # visitors in the line for the models, each of whom holds a thread
QUEUED = 200  # calls of endpoints that wait
UPLOAD = "100mb"  # largest file that gradio takes
OWN_FILE_BYTES = 100 << 20  # of a visitor's weights file
OWN_BYTES = 1 << 30  # of all visitors' models in memory
OWN_PATCHES = 4096  # most negatives per layer that a visitor's weights may ask for
LEARN_STEPS = 2000  # of a run of the page Learn; app.py --learn-steps. Its other bounds: qsneg.learning.order
LEARN_MINUTES = 60  # of training that a visitor may use in 24 hours; app.py --learn-minutes
