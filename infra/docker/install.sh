#!/bin/sh
# Inside of a build, after the dependencies: install Redrive from the source around, write the bill of materials of all that is
# installed, and take away what only a build needs.
set -eu
/opt/redrive/bin/pip install -q --no-deps --no-index --no-build-isolation .
/opt/redrive/bin/pip uninstall -q -y wheel
/opt/bom/bin/cyclonedx-py environment --output-reproducible -o /opt/redrive/sbom.cdx.json /opt/redrive/bin/python
rm -rf /opt/redrive/lib/python3*/site-packages/pip /opt/redrive/bin/pip*
