package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// copyToRemote is command:remote:CopyToRemote, over the host's own cat and tar in place of SFTP.
type copyToRemote struct{}

func (copyToRemote) check(inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	failures := checkNames(inputs, "connection", "source", "remotePath", "triggers")
	failures = append(failures, checkText(inputs, "remotePath")...)
	source := plugin.Plain(inputs["source"])
	if !source.IsAsset() && !source.IsArchive() && !source.IsComputed() {
		failures = append(failures, failure("source", "source must be an asset or an archive"))
	}
	return append(failures, checkConnection(inputs)...)
}

func (copyToRemote) replaces(change plugin.Change, _ resource.PropertyMap) bool {
	return change.Path[0] == string(triggersInput)
}

func (copyToRemote) computed() []resource.PropertyKey { return nil }

func (copyToRemote) create(ctx context.Context, call call) (resource.PropertyMap, error) {
	script, content, err := copyScript(call.inputs)
	if err != nil {
		return nil, err
	}
	call.inputs[loggingInput] = resource.NewProperty("none")
	_, err = execute(ctx, call, script, content)
	return nil, err
}

func (c copyToRemote) update(ctx context.Context, call call) (resource.PropertyMap, error) {
	return c.create(ctx, call)
}

// delete leaves the copy where it is, as the real plugin does.
func (copyToRemote) delete(context.Context, call) error { return nil }

// copyScript returns the script that takes the source from its standard input, and that input.
func copyScript(inputs resource.PropertyMap) (string, io.Reader, error) {
	destination, _ := plugin.String(inputs, "remotePath")
	source := inputs["source"]
	if source.IsAsset() {
		content, err := source.AssetValue().Bytes()
		if err != nil {
			return "", nil, fmt.Errorf("read the source: %w", err)
		}
		name := path.Base(source.AssetValue().Path)
		script := fmt.Sprintf(
			`set -eu; to=%s; name=%s; if [ -d "$to" ] && [ "$name" != . ]; then to="$to/$name"; fi; `+
				`mkdir -p "$(dirname "$to")"; cat > "$to"`, quote(destination), quote(name))
		return script, bytes.NewReader(content), nil
	}
	archive := source.ArchiveValue()
	folder, isPath := archive.GetPath()
	if !isPath {
		return "", nil, fmt.Errorf("only a FileArchive can be copied")
	}
	information, err := os.Stat(folder)
	if err != nil {
		return "", nil, fmt.Errorf("read the source: %w", err)
	}
	if !information.IsDir() {
		content, err := os.ReadFile(folder)
		if err != nil {
			return "", nil, fmt.Errorf("read the source: %w", err)
		}
		script := fmt.Sprintf(`set -eu; mkdir -p "$(dirname %[1]s)"; cat > %[1]s`, quote(destination))
		return script, bytes.NewReader(content), nil
	}
	content, err := tarball(folder)
	if err != nil {
		return "", nil, fmt.Errorf("pack %s: %w", folder, err)
	}
	script := fmt.Sprintf(
		`set -eu; to=%s; if [ -d "$to" ]; then to="$to"/%s; fi; mkdir -p "$to"; tar -xf - -C "$to"`,
		quote(destination), quote(filepath.Base(folder)))
	return script, content, nil
}

// tarball packs a folder's files and folders, with their modes.
func tarball(folder string) (io.Reader, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	if err := writer.AddFS(os.DirFS(folder)); err != nil {
		return nil, err
	}
	return &packed, writer.Close()
}

// quote makes one word of a POSIX shell of the text.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
