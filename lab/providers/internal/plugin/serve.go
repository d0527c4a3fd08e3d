package plugin

import (
	"context"
	"fmt"
	"os"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
)

// hostCheckInterval is how often the plugin looks whether the engine that started it is still there.
const hostCheckInterval = 30 * time.Second

// Main runs the plugin until the engine goes away: it listens on a free loopback port, prints that port on standard
// output (the engine's protocol), and exits non-zero when it cannot serve.
func Main(newServer func(*Host) pulumirpc.ResourceProviderServer) {
	if err := serve(newServer); err != nil {
		fmt.Fprintln(os.Stderr, "fatal:", err)
		os.Exit(1)
	}
}

func serve(newServer func(*Host) pulumirpc.ResourceProviderServer) error {
	address := engineAddress(os.Args[1:])
	host, err := dialHost(address)
	if err != nil {
		return err
	}
	cancel := make(chan bool)
	if address != "" {
		ctx, stop := context.WithCancel(context.Background())
		if err := rpcutil.Healthcheck(ctx, address, hostCheckInterval, stop); err != nil {
			stop()
			return fmt.Errorf("watch the Pulumi engine: %w", err)
		}
		go func() {
			<-ctx.Done()
			close(cancel)
		}()
	}
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: cancel,
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterResourceProviderServer(server, newServer(host))
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	fmt.Printf("%d\n", handle.Port)
	return <-handle.Done
}

// engineAddress finds the engine's address among the arguments: the one that is not a flag.
func engineAddress(arguments []string) string {
	for _, argument := range arguments {
		if argument != "" && argument[0] != '-' {
			return argument
		}
	}
	return ""
}
