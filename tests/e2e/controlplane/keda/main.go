// A client of an external scaler made of KEDA's own generated code: it sends what KEDA's operator sends, and reads what
// it reads. Each call is one line of JSON on standard output; a stream is a line for each message and one for its end.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
)

type answer struct {
	Active *bool    `json:"active,omitempty"`
	Metric string   `json:"metric,omitempty"`
	Target *float64 `json:"target,omitempty"`
	Value  *float64 `json:"value,omitempty"`
	End    string   `json:"end,omitempty"`
	Detail string   `json:"detail,omitempty"`
}

var (
	address   = flag.String("address", "", "host:port of the scaler")
	call      = flag.String("call", "", "active | spec | metrics | stream | metric-spec-stream")
	name      = flag.String("name", "", "of the ScaledObject")
	namespace = flag.String("namespace", "", "of the ScaledObject")
	ca        = flag.String("ca", "", "PEM file of the server's authority")
	cert      = flag.String("cert", "", "PEM file of the client's certificate")
	key       = flag.String("key", "", "PEM file of its key")
)

func main() {
	flag.Parse()
	metadata := map[string]string{"scalerAddress": *address}
	for _, pair := range flag.Args() {
		key, value, _ := strings.Cut(pair, "=")
		metadata[key] = value
	}
	creds, err := transport()
	if err != nil {
		fail(err)
	}
	// as KEDA's operator connects
	service := `{"loadBalancingConfig": [{"round_robin":{}}]}`
	conn, err := grpc.NewClient(*address, grpc.WithDefaultServiceConfig(service), grpc.WithTransportCredentials(creds))
	if err != nil {
		fail(err)
	}
	defer conn.Close()
	ref := &pb.ScaledObjectRef{Name: *name, Namespace: *namespace, ScalerMetadata: metadata}
	if err := ask(context.Background(), pb.NewExternalScalerClient(conn), ref); err != nil {
		said := status.Convert(err)
		say(answer{End: said.Code().String(), Detail: said.Message()})
	}
}

func ask(ctx context.Context, client pb.ExternalScalerClient, ref *pb.ScaledObjectRef) error {
	switch *call {
	case "active":
		got, err := client.IsActive(ctx, ref)
		if err == nil {
			say(answer{Active: &got.Result})
		}
		return err
	case "spec":
		got, err := client.GetMetricSpec(ctx, ref)
		if err == nil {
			specs(got)
		}
		return err
	case "metrics":
		return metrics(ctx, client, ref)
	case "stream":
		return stream(ctx, client, ref)
	case "metric-spec-stream":
		got, err := client.StreamMetricSpec(ctx, ref)
		if err == nil {
			_, err = got.Recv()
		}
		return err
	default:
		return fmt.Errorf("unknown call %q", *call)
	}
}

func specs(got *pb.GetMetricSpecResponse) {
	for _, one := range got.MetricSpecs {
		// KEDA takes the fraction where there is one
		target := float64(one.TargetSize)
		if one.TargetSizeFloat > 0 {
			target = one.TargetSizeFloat
		}
		say(answer{Metric: one.MetricName, Target: &target})
	}
}

func metrics(ctx context.Context, client pb.ExternalScalerClient, ref *pb.ScaledObjectRef) error {
	spec, err := client.GetMetricSpec(ctx, ref)
	if err != nil {
		return err
	}
	for _, one := range spec.MetricSpecs {
		got, err := client.GetMetrics(ctx, &pb.GetMetricsRequest{MetricName: one.MetricName, ScaledObjectRef: ref})
		if err != nil {
			return err
		}
		for _, each := range got.MetricValues {
			value := float64(each.MetricValue)
			if each.MetricValueFloat > 0 {
				value = each.MetricValueFloat
			}
			say(answer{Metric: each.MetricName, Value: &value})
		}
	}
	return nil
}

func stream(ctx context.Context, client pb.ExternalScalerClient, ref *pb.ScaledObjectRef) error {
	got, err := client.StreamIsActive(ctx, ref)
	if err != nil {
		return err
	}
	for {
		one, err := got.Recv()
		if errors.Is(err, io.EOF) {
			say(answer{End: "EOF"})
			return nil
		}
		if err != nil {
			return err
		}
		say(answer{Active: &one.Result})
	}
}

func transport() (credentials.TransportCredentials, error) {
	if *ca == "" {
		return insecure.NewCredentials(), nil
	}
	pem, err := os.ReadFile(*ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

func say(one answer) {
	line, err := json.Marshal(one)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
