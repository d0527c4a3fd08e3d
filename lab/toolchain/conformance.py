"""The images of Kubernetes' conformance tests, under the names that the tests use.

Their programs come from Kubernetes' own module. Other programs (BusyBox, nginx, dig, curl, netcat, iproute2) are
Debian's here, and Alpine's upstream. Programs that only tests outside the conformance set need are left out.
"""

from lab.config import REGISTRY
from lab.toolchain import Toolchain
from lab.toolchain.images import BASE, Image, build_images, ensure_base

BUSYBOX = "e2e-test-images/busybox:1.37.0-1"

_GROUP = "conformance"


def images(version: str) -> tuple[Image, ...]:
    """Every image, given Kubernetes' version; other tags are those in its test/utils/image/manifest.go."""
    return (
        _image(f"conformance:{version}", _CONFORMANCE, "ginkgo", "e2e.test", "kubectl", "kubeconformance"),
        _image("e2e-test-images/agnhost:2.63.0", _AGNHOST, *_AGNHOST_FILES),
        # Tests of updates change from one version of agnhost to another; here both names have the same program.
        _image("e2e-test-images/agnhost:2.55", _AGNHOST, *_AGNHOST_FILES),
        _image(BUSYBOX, _BUSYBOX),
        _image("e2e-test-images/glibc-dns-testing:2.0.0", _installed("bind9-dnsutils")),
        _image("e2e-test-images/nautilus:1.8", _NAUTILUS, *_AGNHOST_FILES, "nautilus.jpg", "nautilus.json"),
        _image("e2e-test-images/nginx:1.15-4", _NGINX),
        _image("e2e-test-images/nonewprivs:1.4", _NONEWPRIVS, "nnp"),
        # Upstream's image has an older Kubernetes, this one the version under test.
        _image("e2e-test-images/sample-apiserver:1.29.2", _SAMPLE_APISERVER, "sample-apiserver"),
    )


def ensure_images(toolchain: Toolchain, registry: str = REGISTRY) -> tuple[str, ...]:
    """Build images that are missing or outdated; return the full name of every image of the tests."""
    return build_images(images(toolchain.release.version), toolchain, ensure_base(), registry)


def _image(name: str, recipe: str, *programs: str) -> Image:
    return Image(name=name, group=_GROUP, programs=programs, recipe=recipe)


def _installed(packages: str) -> str:
    """Debian with the given packages."""
    return f"""FROM {BASE}
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends {packages} \\
 && rm -rf /var/lib/apt/lists/*
"""


_CONFORMANCE = f"""FROM {BASE}
COPY ginkgo e2e.test kubectl kubeconformance /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/kubeconformance"]
"""

_AGNHOST_FILES = ("agnhost", "localhost.crt", "localhost.key")

# Tests of entry points use the second name.
_AGNHOST = (
    _installed("bind9-dnsutils curl iproute2 netcat-openbsd")
    + """COPY agnhost localhost.crt localhost.key /
RUN ln -s agnhost /agnhost-2 && mkdir /uploads
EXPOSE 80 8080 8081 9376 5000
ENTRYPOINT ["/agnhost"]
CMD ["pause"]
"""
)

_NAUTILUS = (
    _AGNHOST
    + """COPY nautilus.jpg /nautilus.jpg
COPY nautilus.json /data.json
CMD ["test-webserver"]
"""
)

_BUSYBOX = f"""FROM {BASE} AS files
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends busybox-static \\
 && mkdir -p /image/bin /image/etc /image/root /image/var \\
 && mkdir -m 1777 /image/tmp \\
 && cp /etc/group /etc/passwd /image/etc/ \\
 && cp /bin/busybox /image/bin/ \\
 && for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "/image/bin/$applet"; done
FROM scratch
COPY --from=files /image /
CMD ["sh"]
"""

_NGINX = (
    _installed("nginx")
    + """EXPOSE 80
CMD ["nginx", "-g", "daemon off;"]
"""
)

_NONEWPRIVS = f"""FROM {BASE}
COPY nnp /usr/local/bin/nnp
RUN chmod u+s,g+s /usr/local/bin/nnp
CMD ["nnp"]
"""

_SAMPLE_APISERVER = """FROM scratch
COPY sample-apiserver /sample-apiserver
ENTRYPOINT ["/sample-apiserver"]
"""
