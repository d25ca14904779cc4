"""The documentation site: `make docs`, or `sphinx-build -W docs docs/_build` with the extra `docs` installed.

Nothing is fetched while building, and a built page asks for nothing from another host. Notebooks are shown with
their stored outputs and not run; the tests run them.
"""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "grn"
author = "The grn developers"
project_copyright = author
version = release = installed_version("grn")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "repository",
    "docstrings",
    "mathml",
]
exclude_patterns = ["_build", "diagrams.py", "**.ipynb_checkpoints"]
nitpicky = True
# Types of annotations and docstrings belong to other packages, whose sites are not asked while building.
nitpick_ignore_regex = [("py:(class|exc)", ".*")]

nb_execution_mode = "off"
myst_heading_anchors = 4
myst_enable_extensions: list[str] = []  # `$` and the like stay as they are written: pages are read as files too

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Returns", "Writes", "Source", "Sources"]  # prose, or a definition list
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 88
smartquotes_action = "D"  # dashes; quotes stay as in code
highlight_language = "none"
default_role = "code"  # docstrings write `name`, as Markdown does
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_math_renderer = "mathml"
html_theme = "sphinx_book_theme"
html_title = "grn"
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],
}
html_static_path = ["_static"]
html_css_files = ["grn.css"]
html_copy_source = False
html_show_sourcelink = False
