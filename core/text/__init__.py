"""What is known of languages and their writing, and what is done with text in any of them, without a model.

`languages` (codes, names, resources) and `families`; `scripts` and `identification` of a text; `segment` (words,
sentences), `normalize` and `romanize`; `distance` between words; `codeswitch` and `fences` (code in a text); `sampling`
over languages.
"""
