"""What `quantgate --help` and `quantgate COMMAND --help` say."""

from __future__ import annotations

OVERVIEW = """\
Gates quantized language models, slice by slice. The gate itself runs inside pytest:

  pytest --quant-ref fp16 --quant-cand nf4

This command helps around it.
"""

EPILOG = """\
exit status: 0 when all is well, 1 when there are problems in the files, 2 when the command could not run
"""

INIT = """\
Writes quant/first.slice.yaml, a slice file to change, and pytest.ini where pytest has no
configuration yet; where it has one, prints the lines to add. Nothing is overwritten.

  quantgate init
  pytest quant --quant-cand nf4
"""

VALIDATE = """\
Reads slice files, and every *.slice.yaml below a folder, and tells every mistake in them as
FILE:LINE. Needs no model. Loads data sets too. Knows the built-in checks and data sets, not those
that a plugin of yours adds.

  quantgate validate quant
  quantgate validate quant/people.slice.yaml quant/sums.slice.yaml
"""

REPORT = """\
Shows a stored run as pytest showed it. --breakdown adds what was measured per tag, category of
check, number of checks, boundary distance and cluster. --html and --markdown write it to files
instead: one to look at in a browser, one to put under a pull request.

  pytest quant --quant-cand nf4 --quant-report-json run.json
  quantgate report run.json
  quantgate report run.json --html run.html --markdown comment.md
"""

DIAGNOSE = """\
Says why gates of a stored run failed, worst first: loads the reference and the candidate, and
looks into both at the token where their answers part, on the cases that broke and on as many that
did not.

Precision that is lost in sound computation (signal degradation) can be had back by keeping a few
modules in higher precision. Components that no longer work (computation collapse) cannot. The
verdict is told with its evidence; then the smallest repair within --max-bits is searched for,
prepared by its spec, and judged by the slice's own gate. One that does not pass is not recommended.
docs/diagnosis.md has it all.

  quantgate diagnose run.json
  quantgate diagnose run.json --slice people --candidate nf4 --html why.html

exit status: 0 when every diagnosis was made, 1 when one could not be, 2 when none could
"""

COMPARE = """\
Puts two stored runs side by side: two models, two candidates, or two dates. Says where they
differ, and by the paper's tests whether that is more than chance. Of a run with several candidates
name one behind a #.

  quantgate compare monday.json friday.json
  quantgate compare 'run.json#int8' 'run.json#nf4' --format markdown
"""

GATE = """\
Judges answers that you have recorded, with any engine on any machine: the same checks, limits,
verdicts and reports as a run in pytest. Each line of a file is one answer to a case of a slice:

  {"slice": "format", "id": "alice", "response": "{}", "finish_reason": "stop", "tokens": 2}

"slice" may be left out where one slice is judged; a case of several turns has "responses", a list;
"finish_reason" (stop or length) and "tokens" (how many the answer has) may be left out, and then
nothing is said of what depends on them. Other keys are ignored.
A candidate is called by its file's name, or by yours: --candidate int4=answers.jsonl. Give
--candidate and --control as often as there are files. For HTML, or Markdown for a pull request,
keep the run with --report-json and let quantgate report write them. docs/recorded-answers.md has it
all.

  quantgate gate --reference fp16.jsonl --candidate int4.jsonl quant --report-json run.json
  quantgate gate --reference fp16.jsonl --candidate int4.jsonl --suite core --rule evidence
  quantgate report run.json --html run.html --markdown comment.md

exit status: 0 when every gate passed, 1 when one did not or a line cannot be used, 2 when the
command could not run
"""

POWER = """\
Says what the cases of a slice can prove, before any model is asked.

Power is the chance that a test sees a fault that is there. A slice of few cases has little: a
candidate that really degrades twice what its limit allows then often looks fine, and a harmless one
cannot be cleared. This command tells, for each slice, the smallest rate of degraded cases that it
sees in 4 of 5 runs, and how many cases a PASS takes.

  quantgate power quant --rule evidence
  quantgate power --cases 400 --max-pass-to-fail 0.05 --rule evidence --candidates 2

exit status: 0 when every gate could decide, 1 when one could not or a slice file is wrong, 2 when
the command could not run
"""

CACHE = """\
Answers are kept, so that a run with nothing changed loads no model. They are kept in the user's
cache folder, or in $QUANTGATE_CACHE_DIR, until you clear them. Verdicts of judges, and what slow
checks found, are kept and cleared with them.

  quantgate cache info
  quantgate cache clear --older-than 30 --yes
  quantgate cache clear --yes
"""

SOURCES = """\
Shows the public data sets that slice files may name (dataset: {name: ifeval, limit: 200}): what
they hold, their licences, and where their rows are now or how to get them. Nothing is downloaded.
Knows the built-in ones, not those that a plugin of yours adds.

  quantgate sources
  quantgate sources ifeval
"""

CHECKS = """\
Shows what slice files may ask of an answer: every check by family, or everything about one: what
it asks, its edge cases, its arguments, and lines to copy. Knows the built-in ones, not those that a
plugin of yours adds.

  quantgate checks
  quantgate checks json_schema
"""

GRADE = """\
Grades answers that you have already; needs no model. Each line of the file is one answer:

  {"id": "sum", "prompt": "What is 7 + 5?", "checks": [{"number": 12}], "response": "It is 12."}

and gives one line on standard output:

  {"id": "sum", "passed": true, "results": [{"check": "number", "followed": true, "reason": "..."}]}

"prompt" is text, or a list of {"role", "content"} messages; "checks" are written as in slice files;
other keys are ignored.
"passed" is true when every check is followed, and null when one of them could not be scored.
Knows the built-in checks, not those that a plugin of yours adds. A line that cannot be graded is
told as FILE:LINE on standard error, and the others are graded.

  quantgate grade answers.jsonl > grades.jsonl
  quantgate grade - < answers.jsonl
"""

SHOW = """\
Shows everything that a stored run knows of one case: what was asked, both answers, the tokens around
the first difference with the decision margins there, every check's result, the goldens (where it
drifted, what was anchored beside what is answered now), and the command that runs it again. Tokens
are read with the model's own tokenizer where the model is on this machine; nothing is downloaded.

  quantgate show run.json alice
  quantgate show run.json 'people::alice[nf4]'
"""

RERUN = """\
Runs cases of a stored run again, in this folder, with pytest and the options of that run: all of them,
or those that are named below. A report can come from anybody and says what is run, so the command is
shown first, and run when you say yes.

  quantgate rerun run.json --only degraded
  quantgate rerun run.json --slice people --candidate nf4 --yes

exit status: pytest's; 5 when there is nothing to run; 1 when nobody said yes, 2 when the report cannot
be used
"""

CALIBRATE = """\
Asks people whether the checks of a stored run are right, and says whether they are as right about the
candidate as about the reference. A judge or a classifier that was made for one model's answers can be
wrong about another's.

First draw a sample into a sheet (CSV) that tells neither the model nor the check's verdict. Write yes
or no in its column 'label'. Then read it back: agreement, Cohen's kappa, precision and recall of each
check for both models, and how the agreement changed. --keep writes the labels to
golden/SLICE/labels.jsonl beside the slice file; a gate with min_grader_agreement reads them there.

  quantgate calibrate run.json --sheet labels.csv --sample 200
  quantgate calibrate run.json --labels labels.csv --keep
"""
