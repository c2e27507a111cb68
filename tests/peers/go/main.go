// A Milvus in Go, as Milvus itself is: Google's library looks at texts before it sends them. It lists one good job and
// one whose reason is not UTF-8, and prints its port.
package main

import (
	"context"
	"fmt"
	"net"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/grpc"
)

type server struct {
	milvuspb.UnimplementedMilvusServiceServer
}

var names = []string{"good", "damaged"}

func (server) ListDatabases(context.Context, *milvuspb.ListDatabasesRequest) (*milvuspb.ListDatabasesResponse, error) {
	return &milvuspb.ListDatabasesResponse{Status: &commonpb.Status{}, DbNames: []string{"default"}}, nil
}

func (server) ShowCollections(context.Context, *milvuspb.ShowCollectionsRequest) (*milvuspb.ShowCollectionsResponse, error) {
	return &milvuspb.ShowCollectionsResponse{Status: &commonpb.Status{}, CollectionNames: names, CollectionIds: []int64{1, 2}}, nil
}

func (server) DescribeCollection(context.Context, *milvuspb.DescribeCollectionRequest) (*milvuspb.DescribeCollectionResponse, error) {
	schema := &schemapb.CollectionSchema{ExternalSource: "s3://lake/"}
	return &milvuspb.DescribeCollectionResponse{Status: &commonpb.Status{}, Schema: schema}, nil
}

func (server) ListRefreshExternalCollectionJobs(_ context.Context, asked *milvuspb.ListRefreshExternalCollectionJobsRequest) (*milvuspb.ListRefreshExternalCollectionJobsResponse, error) {
	answer := &milvuspb.ListRefreshExternalCollectionJobsResponse{Status: &commonpb.Status{}}
	for number, name := range names {
		if asked.CollectionName != "" && asked.CollectionName != name {
			continue
		}
		job := &milvuspb.RefreshExternalCollectionJobInfo{JobId: int64(number + 1), CollectionName: name}
		if name == "damaged" {
			job.Reason = "no such key: \xff\xfe"
		}
		answer.Jobs = append(answer.Jobs, job)
	}
	return answer, nil
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	served := grpc.NewServer()
	milvuspb.RegisterMilvusServiceServer(served, server{})
	panic(served.Serve(listener))
}
