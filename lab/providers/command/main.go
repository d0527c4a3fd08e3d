// Command pulumi-resource-command stands in for Pulumi's Command plugin where that cannot be downloaded: the same
// resource types and behaviour, for commands on this machine and over SSH.
package main

import (
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"argus.dev/lab/providers/internal/plugin"
)

// version is that of the real plugin whose schema this one speaks.
const version = "1.2.1"

func main() {
	plugin.Main(func(host *plugin.Host) pulumirpc.ResourceProviderServer {
		return &provider{Base: plugin.NewBase("command", version, host)}
	})
}
