// What a post to a strand of Asio costs, in chains and in bursts: reads `chained TIMES` or `bursts TIMES`
// and answers with the processor time of each post and its run, in nanoseconds, line by line.
#include <asio.hpp>
#include <iostream>
#include <string>
#include <time.h>

using strand_type = asio::strand<asio::io_context::executor_type>;

struct Link {
    strand_type &strand;
    long &left;
    void operator()() const {
        if (--left > 0) asio::post(strand, Link{strand, left});
    }
};

struct Burst {
    strand_type &strand;
    long &left;
    void operator()() const {
        for (int n = 0; n < 32; ++n) asio::post(strand, [] {});
        if ((left -= 32) > 0) asio::post(strand, Burst{strand, left});
    }
};

static double processor_time() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

int main() {
    asio::io_context context(1);
    auto strand = asio::make_strand(context);
    std::string how;
    long times;
    while (std::cin >> how >> times) {
        long left = times;
        double begin = processor_time();
        if (how == "chained")
            asio::post(strand, Link{strand, left});
        else
            asio::post(strand, Burst{strand, left});
        context.restart();
        context.run();
        std::cout << (processor_time() - begin) / times << std::endl;
    }
}
