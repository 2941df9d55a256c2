#include "plugin/command.h"
#include "plugin/protect.h"

int main(int argc, char **argv)
{
    protect_streams();
    protect_process();
    return command_main(argc, argv);
}
